// Stands in for curl in a shell: it sends what it is given, and prints what comes back. It knows the options that our commands use,
// and no other.
import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: {
    silent: { type: 'boolean', short: 's' },
    'show-error': { type: 'boolean', short: 'S' },
    header: { type: 'string', short: 'H', multiple: true, default: [] },
    'data-raw': { type: 'string' },
    'dump-header': { type: 'string', short: 'D' },
    output: { type: 'string', short: 'o' },
  },
  allowPositionals: true,
});
const [url, ...more] = positionals;
if (url === undefined || more.length > 0) throw new Error(`curl takes one address, not ${JSON.stringify(positionals)}`);

const headers = new Headers();
for (const line of values.header) {
  const colon = line.indexOf(':');
  const value = line.slice(colon + 1).trim();
  // As curl does: a header without a value is not sent.
  if (value !== '') headers.append(line.slice(0, colon), value);
}
const body = values['data-raw'];
const response = await fetch(url, body === undefined ? { headers } : { method: 'POST', headers, body });
if (values['dump-header'] === '-')
  writeSync(
    1,
    `HTTP/1.1 ${response.status}\r\n${[...response.headers].map((one) => `${one.join(': ')}\r\n`).join('')}`,
  );
const answer = await response.text();
if (values.output !== '/dev/null') writeSync(1, answer);
