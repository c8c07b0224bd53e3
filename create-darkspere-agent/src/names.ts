// What a new agent may be called and made of.

export const TEMPLATES = {
  mock: 'the same answer to the same text; for a first try',
  llm: 'a model behind any OpenAI-compatible endpoint',
  mcp: 'an MCP server with a chat tool',
  a2a: 'an A2A agent that asks back',
  wrap: 'an agent you have already, made with a library',
} as const;
export type Template = keyof typeof TEMPLATES;

/** What is wrong with a name, or null. It becomes a folder, a package and a type of agents. */
export function nameProblem(name: string): string | null {
  if (name === '') return 'A name is needed.';
  if (name.length > 50) return 'At most 50 characters.';
  if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) return 'Small letters, digits and hyphens; a letter or digit comes first.';
  if (RESERVED.has(name) || /^(com|lpt)\d$/.test(name)) return `"${name}" has a meaning of its own.`;
  return null;
}

const RESERVED = new Set(['node-modules', 'favicon', 'con', 'prn', 'aux', 'nul', 'darkspere']);

export function isTemplate(text: string): text is Template {
  return Object.hasOwn(TEMPLATES, text);
}
