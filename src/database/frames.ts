/**
 * Cuts a PostgreSQL stream into its messages, in whatever pieces it comes, and hands on those of the types wanted; the others
 * are passed over without being kept. Each message is a type, its length (itself included) and a body.
 */
export function frames(
  wanted: readonly string[],
  onMessage: (type: string, body: Buffer) => void,
): (chunk: Buffer) => void {
  const types = new Map(wanted.map((type) => [type.charCodeAt(0), type]));
  let rest: Buffer = Buffer.alloc(0);
  let skip = 0;
  return (chunk) => {
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = Math.min(skip, data.length);
    skip -= at;
    while (data.length - at >= HEAD) {
      const size = 1 + data.readUInt32BE(at + 1);
      const left = data.length - at;
      const type = types.get(data[at]!);
      if (type !== undefined) {
        if (left < size) break;
        onMessage(type, data.subarray(at + HEAD, at + size));
      } else if (left < size) skip = size - left;
      at += Math.min(left, size);
    }
    rest = data.subarray(at);
  };
}

const HEAD = 5;
