/** The same request for a terminal. The key is a variable; nothing that was typed can mean anything to the shell. */
export function apiCurl(
  method: 'GET' | 'POST' | 'PUT',
  path: string,
  body?: unknown,
  origin = location.origin,
): string {
  return [
    `curl -sS ${method === 'GET' ? '' : `-X ${method} `}${quoted(origin + path)}`,
    `  -H "Authorization: Bearer $DARKSPERE_KEY"`,
    ...(body === undefined ? [] : [`  -H 'content-type: application/json' -d ${quoted(JSON.stringify(body))}`]),
  ].join(' \\\n');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
