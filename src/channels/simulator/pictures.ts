// Pictures that people can send without the internet: drawn here, so that nobody's photograph travels with the program.
import { crc32, deflateSync } from 'node:zlib';

type Color = readonly [red: number, green: number, blue: number];
/** The colour at a place; both from 0 to 1, from the top left. */
type Painting = (x: number, y: number) => Color;

const [WIDTH, HEIGHT] = [480, 360];

const sunset: Painting = (x, y) => {
  const hill = 0.74 + 0.09 * Math.sin(x * 5 + 0.6);
  const nearHill = 0.86 + 0.06 * Math.sin(x * 8 + 2);
  if (y > nearHill) return [38, 34, 62];
  if (y > hill) return mix([70, 58, 104], [38, 34, 62], (y - hill) / 0.2);
  const distance = Math.hypot((x - 0.62) * 1.33, y - 0.6);
  if (distance < 0.11) return [255, 232, 176];
  const sky = mix([72, 84, 160], [255, 154, 108], y / 0.74);
  return mix([255, 206, 148], sky, Math.min(1, (distance - 0.11) / 0.22));
};

const receipt: Painting = (x, y) => {
  const jagged = 0.93 + 0.012 * Math.abs(((x * 24) % 1) - 0.5);
  if (x < 0.26 || x > 0.74 || y < 0.06 || y > jagged) return mix([118, 138, 128], [96, 114, 108], y);
  const row = Math.floor((y - 0.1) * 18);
  const inRow = ((y - 0.1) * 18) % 1;
  const paper: Color = [250, 248, 240];
  if (row < 0 || row > 13 || inRow < 0.3 || inRow > 0.62) return paper;
  if (row === 0) return x > 0.38 && x < 0.62 ? [60, 60, 66] : paper;
  if (row === 11) return x > 0.3 && x < 0.7 && (x * 60) % 1 < 0.5 ? [150, 150, 150] : paper;
  const item = x > 0.3 && x < 0.42 + ((row * 37) % 11) / 100;
  const price = x > 0.62 && x < 0.7;
  return item || price ? [104, 104, 112] : paper;
};

const chart: Painting = (x, y) => {
  const background: Color = [246, 248, 252];
  if (y > 0.86 && y < 0.87 && x > 0.08 && x < 0.94) return [120, 128, 144];
  const bar = Math.floor((x - 0.1) / 0.12);
  const inBar = ((x - 0.1) % 0.12) / 0.12;
  const heights = [0.22, 0.34, 0.3, 0.48, 0.57, 0.52, 0.7];
  const height = heights[bar];
  if (height === undefined || x < 0.1 || inBar > 0.7 || y > 0.86 || y < 0.86 - height) return background;
  return mix([62, 120, 222], [120, 176, 250], (0.86 - y) / height);
};

function mix(a: Color, b: Color, share: number): Color {
  const at = Math.max(0, Math.min(1, share));
  const channel = (n: 0 | 1 | 2) => Math.round(a[n] + (b[n] - a[n]) * at);
  return [channel(0), channel(1), channel(2)];
}

/** 8-bit RGB, each row filtered by the difference to the one above, which flat drawings compress well under. */
function png(painting: Painting): Buffer {
  const stride = WIDTH * 3;
  const rows = Buffer.alloc((stride + 1) * HEIGHT);
  let above = Buffer.alloc(stride);
  for (let y = 0; y < HEIGHT; y++) {
    const row = Buffer.alloc(stride);
    for (let x = 0; x < WIDTH; x++) row.set(painting(x / WIDTH, y / HEIGHT), x * 3);
    const start = y * (stride + 1);
    rows[start] = 2;
    for (let i = 0; i < stride; i++) rows[start + 1 + i] = (row[i]! - above[i]!) & 0xff;
    above = row;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(HEIGHT, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 9 })),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}

/** Painted when somebody looks: most starts of the simulator never show one. */
const PAINTINGS: readonly (readonly [name: string, title: string, painting: Painting])[] = [
  ['sunset', 'A sunset', sunset],
  ['receipt', 'A receipt', receipt],
  ['chart', 'A chart', chart],
];
const painted = new Map<string, Buffer>();

export const PICTURE_NAMES: readonly (readonly [name: string, title: string])[] = PAINTINGS.map(([name, title]) => [
  name,
  title,
]);

/** A PNG by its name, or null. */
export function pictureOf(name: string): Buffer | null {
  const found = PAINTINGS.find(([known]) => known === name);
  if (found === undefined) return null;
  const bytes = painted.get(name) ?? png(found[2]);
  painted.set(name, bytes);
  return bytes;
}
