// Sums by text: a small recursive-descent parser. Nothing from a text message is ever evaluated as code.

export type Sum =
  | { readonly kind: 'value'; readonly value: number }
  | { readonly kind: 'trouble'; readonly text: string };

type Token = number | string;
/** A percentage keeps that it is one: `80 + 10%` is 88. */
type Value = { readonly number: number; readonly percent: boolean };

const LONGEST = 200;
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/\b(?:multiplied by|times)\b|[×·]/g, '*'],
  [/\b(?:divided by|over)\b|÷/g, '/'],
  [/\bto the power of\b|\*\*/g, '^'],
  [/\bsquared\b/g, '^2'],
  [/\bcubed\b/g, '^3'],
  [/\bplus\b/g, '+'],
  [/\bminus\b|[−–]/g, '-'],
  [/\b(?:percent|per cent)\b/g, '%'],
  [/(?<=[\d)%\s])x(?=[\d(\s])/g, '*'],
];

class Trouble extends Error {}

/** What a sum comes to; null when the text is not a sum at all. */
export function calculate(text: string): Sum | null {
  if (text.length > LONGEST) return null;
  const tokens = tokenize(text);
  if (tokens === null || !tokens.some((token) => typeof token === 'number')) return null;
  if (tokens.every((token) => typeof token === 'number' || token === '(' || token === ')')) return null;
  try {
    const value = evaluate(tokens);
    if (!Number.isFinite(value)) return { kind: 'trouble', text: 'That comes to a number too big for me.' };
    return { kind: 'value', value };
  } catch (thrown) {
    if (thrown instanceof Trouble) return { kind: 'trouble', text: thrown.message };
    throw thrown;
  }
}

function tokenize(text: string): Token[] | null {
  let rest = text.toLowerCase();
  for (const [pattern, sign] of WORDS) rest = rest.replace(pattern, sign);
  rest = rest.replace(/[$€£]/g, '').replace(/(?<=\d),(?=\d{3}(?!\d))/g, '');
  const tokens: Token[] = [];
  const pattern = /\s*(?:(\d+(?:\.\d*)?|\.\d+)|(mod|off|of|[-+*/^%()]))\s*/y;
  while (pattern.lastIndex < rest.length) {
    const match = pattern.exec(rest);
    if (match === null) return null;
    tokens.push(match[1] === undefined ? match[2]! : Number(match[1]));
  }
  return tokens;
}

function evaluate(tokens: readonly Token[]): number {
  let at = 0;
  const take = (...signs: string[]): string | null => {
    const token = tokens[at];
    if (typeof token !== 'string' || !signs.includes(token)) return null;
    at += 1;
    return token;
  };
  const startsOperand = (token: Token | undefined) => typeof token === 'number' || token === '(';

  const sum = (): Value => {
    let left = product();
    for (let sign = take('+', '-'); sign !== null; sign = take('+', '-')) {
      const right = product();
      const amount = right.percent && !left.percent ? left.number * right.number : right.number;
      left = {
        number: sign === '+' ? left.number + amount : left.number - amount,
        percent: left.percent && right.percent,
      };
    }
    return left;
  };
  const product = (): Value => {
    let left = signed();
    for (let sign = operator(); sign !== null; sign = operator())
      left = { number: combine(sign, left, signed()), percent: false };
    return left;
  };
  // `%` is the remainder when something to divide by follows (10 % 3), a percentage otherwise (18% of 50, 10% - 3).
  const operator = () => take('*', '/', 'mod', 'of', 'off') ?? (startsOperand(tokens[at + 1]) ? take('%') : null);
  const signed = (): Value => {
    if (take('-') !== null) {
      const { number, percent } = signed();
      return { number: -number, percent };
    }
    return take('+') === null ? power() : signed();
  };
  const power = (): Value => {
    const base = percentage();
    return take('^') === null ? base : { number: base.number ** signed().number, percent: false };
  };
  const percentage = (): Value => {
    const number = atom();
    return !startsOperand(tokens[at + 1]) && take('%') !== null
      ? { number: number / 100, percent: true }
      : { number, percent: false };
  };
  const atom = (): number => {
    const token = tokens[at];
    if (typeof token === 'number') {
      at += 1;
      return token;
    }
    if (take('(') === null) throw new Trouble('I cannot read that sum: a number seems to be missing.');
    const { number } = sum();
    if (take(')') === null) throw new Trouble('I cannot read that sum: a bracket seems to be missing.');
    return number;
  };

  const { number } = sum();
  if (at < tokens.length) throw new Trouble('I cannot read that sum: an operator or a bracket seems to be missing.');
  return number;
}

function combine(sign: string, left: Value, { number: right }: Value): number {
  if (sign === '*' || sign === 'of') return left.number * right;
  if (sign === 'off') return right - (left.percent ? right * left.number : left.number);
  if (right === 0) throw new Trouble('Nobody can divide by zero, me included.');
  return sign === '/' ? left.number / right : left.number % right;
}

/** A number for reading: grouped thousands, no floating-point dust, `digits` significant digits unless it is whole. */
export function formatNumber(value: number, digits: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e15 || size < 1e-6)) return String(Number(value.toPrecision(digits)));
  const before = size < 1 ? 0 : Math.floor(Math.log10(size)) + 1;
  const whole = Number.isInteger(value) ? 17 : Math.min(17, Math.max(digits, before));
  return (value === 0 ? 0 : value).toLocaleString('en-US', { maximumSignificantDigits: whole });
}
