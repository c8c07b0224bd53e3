// PostgreSQL arrays for postgres.js. Left alone, the driver asks each new connection for its array types, and when that
// connection breaks in the middle nobody holds the promise: the rejection would end the process. Ours are all built in,
// with the same oids everywhere (pg_type.dat), so there is nothing to ask.

const TEXTS = { text: 1009, varchar: 1015, char: 1002, name: 1003, uuid: 2951 } as const;
const NUMBERS = { int2: 1005, int4: 1007, int8: 1016, float4: 1021, float8: 1022 } as const;

type ArrayType<T> = {
  to: number;
  from: number[];
  serialize(values: readonly unknown[] | string): string;
  parse(text: string): T;
};

/** For the driver's `types`. */
export const ARRAY_TYPES: { texts: ArrayType<(string | null)[]>; numbers: ArrayType<(number | null)[]> } = {
  texts: { to: TEXTS.text, from: Object.values(TEXTS), serialize: toArrayText, parse: parseArrayText },
  numbers: {
    to: NUMBERS.int4,
    from: Object.values(NUMBERS),
    serialize: toArrayText,
    parse: (text) => parseArrayText(text).map((item) => (item === null ? null : Number(item))),
  },
};

/** `{"a","b",NULL}`: every item quoted, so that no text can be taken for syntax. What is text already stays as it is. */
export function toArrayText(values: readonly unknown[] | string): string {
  if (typeof values === 'string') return values;
  const items = values.map((value) =>
    value === null || value === undefined ? 'NULL' : `"${String(value).replace(/["\\]/g, '\\$&')}"`,
  );
  return `{${items.join(',')}}`;
}

/** The items of an array with one dimension; more dimensions have no use here and throw. */
export function parseArrayText(text: string): (string | null)[] {
  if (!/^\{(?!\{).*\}$/s.test(text)) throw new RangeError('Not a PostgreSQL array with one dimension.');
  const items: (string | null)[] = [];
  for (const [, quoted, bare] of text.slice(1, -1).matchAll(/"((?:[^"\\]|\\.)*)"|([^",]+)/gs)) {
    if (quoted !== undefined) items.push(quoted.replace(/\\(.)/gs, '$1'));
    else items.push(bare === 'NULL' ? null : bare!);
  }
  return items;
}
