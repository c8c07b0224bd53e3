// From the result of a tool to what a person should read.
import type { CallToolResult } from '@modelcontextprotocol/client';
import { withoutNul } from '../../../text.ts';
import type { AgentOutcome } from '../../agent.ts';
import { at, handleIn, replyIn, textOf } from '../template.ts';
import { failed, isHttps, MAX_MEDIA, MAX_TEXT, parseJson } from '../wire.ts';
import type { McpSettings } from './settings.ts';
import { CONVERSATION_FIELDS } from './tool-choice.ts';

/** For what a text message cannot carry. */
const ATTACHMENT = '[attachment]';

/** A failure of the tool is a failure of the agent: its words are for its author, not for the person. */
export function readResult(result: CallToolResult, settings: McpSettings): AgentOutcome {
  if (result.isError === true) return failed('agent_said_error', 'The tool says that it failed (isError).');
  const { text: said, mediaUrls } = contentOf(result);
  const inText = /^\s*[{[]/.test(said) ? parseJson(Buffer.from(said))?.value : undefined;
  const sources = [result.structuredContent, inText, result];
  const found =
    settings.reply === undefined
      ? (replyIn(result.structuredContent) ?? replyIn(inText) ?? said)
      : firstText(sources, settings.reply);
  if (found === null) return failed('agent_contract', `The result of the tool has no text at "${settings.reply}".`);
  const text = withoutNul(found).trim();
  if (text === '' && mediaUrls.length === 0) return failed('agent_contract', 'The result of the tool has no text.');
  if (text.length > MAX_TEXT)
    return failed('agent_contract', `The result of the tool is longer than ${MAX_TEXT} characters.`);
  const handle = handleOf(sources, settings);
  return {
    kind: 'reply',
    text,
    mediaUrls,
    endSession: false,
    ...(handle === null ? {} : { handle: { conversation: withoutNul(handle) } }),
  };
}

function firstText(sources: readonly unknown[], path: string): string | null {
  for (const source of sources) {
    const text = textOf(at(source, path));
    if (text !== null) return text;
  }
  return null;
}

/** The handle by which the server wants to be asked next time. */
function handleOf(sources: readonly unknown[], settings: McpSettings): string | null {
  if (settings.conversation !== undefined) {
    const { conversation } = settings;
    return sources.map((source) => handleIn(at(source, conversation))).find((found) => found !== null) ?? null;
  }
  const [structured] = sources;
  return CONVERSATION_FIELDS.map((field) => handleIn(at(structured, field))).find((found) => found !== null) ?? null;
}

function contentOf(result: CallToolResult): { text: string; mediaUrls: string[] } {
  const texts: string[] = [];
  const mediaUrls: string[] = [];
  for (const block of result.content) {
    if (block.type === 'text') texts.push(block.text);
    else if (block.type === 'resource_link') {
      const isPicture = /^(image|audio|video)\//.test(block.mimeType ?? '');
      if (isPicture && isHttps(block.uri) && mediaUrls.length < MAX_MEDIA) mediaUrls.push(new URL(block.uri).href);
      else texts.push(isHttps(block.uri) ? block.uri : ATTACHMENT);
    } else if (block.type === 'resource' && 'text' in block.resource) texts.push(block.resource.text);
    else texts.push(ATTACHMENT);
  }
  return { text: texts.join('\n'), mediaUrls };
}
