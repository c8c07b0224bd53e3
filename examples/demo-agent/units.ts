// Conversions between units of one kind; everything is data, apart from temperatures, whose zero points differ.
import { formatNumber } from './arithmetic.ts';

type Unit = { readonly kind: string; readonly factor: number; readonly offset: number; readonly label: string };

// kind → [label, size in the kind's base unit, other names …]. Sizes are exact by definition (international yard and pound, US gallon).
const SIZES: Readonly<Record<string, readonly (readonly [string, number, string])[]>> = {
  length: [
    ['mm', 0.001, 'millimeter millimetre'],
    ['cm', 0.01, 'centimeter centimetre'],
    ['m', 1, 'meter metre'],
    ['km', 1000, 'kilometer kilometre'],
    ['in', 0.0254, 'inch inches "'],
    ['ft', 0.3048, "foot feet '"],
    ['yd', 0.9144, 'yard'],
    ['miles', 1609.344, 'mile mi'],
    ['nautical miles', 1852, 'nautical_mile nmi'],
  ],
  weight: [
    ['mg', 1e-6, 'milligram'],
    ['g', 0.001, 'gram gramme'],
    ['kg', 1, 'kilogram kilo'],
    ['t', 1000, 'tonne metric_ton'],
    ['oz', 0.028349523125, 'ounce'],
    ['lb', 0.45359237, 'lbs pound'],
    ['st', 6.35029318, 'stone'],
  ],
  volume: [
    ['ml', 0.001, 'milliliter millilitre'],
    ['cl', 0.01, 'centiliter centilitre'],
    ['l', 1, 'liter litre'],
    ['tsp', 0.00492892159375, 'teaspoon'],
    ['tbsp', 0.01478676478125, 'tablespoon'],
    ['fl oz', 0.0295735295625, 'floz fluid_ounce'],
    ['cups', 0.2365882365, 'cup'],
    ['pints', 0.473176473, 'pint pt'],
    ['quarts', 0.946352946, 'quart qt'],
    ['gallons', 3.785411784, 'gallon gal'],
  ],
  speed: [
    ['m/s', 1, 'mps meters_per_second metres_per_second'],
    ['km/h', 1 / 3.6, 'kmh kph kmph kilometers_per_hour kilometres_per_hour'],
    ['mph', 0.44704, 'mi/h miles_per_hour'],
    ['knots', 1852 / 3600, 'knot kn kt'],
    ['ft/s', 0.3048, 'fps feet_per_second'],
  ],
};

// To kelvin: (value + offset) × factor.
const TEMPERATURES: readonly Unit[] = [
  { kind: 'temperature', label: 'C', factor: 1, offset: 273.15 },
  { kind: 'temperature', label: 'F', factor: 5 / 9, offset: 459.67 },
  { kind: 'temperature', label: 'K', factor: 1, offset: 0 },
];

const UNITS = new Map<string, Unit>();
for (const [kind, rows] of Object.entries(SIZES)) {
  for (const [label, factor, names] of rows) {
    for (const name of [label, ...names.split(' ').map((one) => one.replaceAll('_', ' '))]) {
      for (const form of [name, `${name}s`]) UNITS.set(form, { kind, factor, offset: 0, label });
    }
  }
}
for (const unit of TEMPERATURES) {
  const letter = unit.label.toLowerCase();
  const name = { c: 'celsius', f: 'fahrenheit', k: 'kelvin' }[letter]!;
  for (const form of [
    letter,
    name,
    `deg ${letter}`,
    `degrees ${letter}`,
    `degrees ${name}`,
    `degree ${name}`,
    `°${letter}`,
    `° ${letter}`,
  ]) {
    UNITS.set(form, unit);
  }
}
UNITS.set('centigrade', TEMPERATURES[0]!);

const NUMBER = String.raw`(-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)|an?|half an?)`;
const FORMS: readonly { readonly pattern: RegExp; readonly order: readonly [number, number, number] }[] = [
  // 5 miles in km
  { pattern: new RegExp(String.raw`^${NUMBER}\s*(\S(?:.*?\S)?)\s+(?:in|to|into|as|=)\s+(.+)$`), order: [1, 2, 3] },
  // how many km in 5 miles
  {
    pattern: new RegExp(String.raw`^how (?:many|much) (.+?) (?:are|is|are there|is there)?\s*in ${NUMBER}\s*(.+)$`),
    order: [2, 3, 1],
  },
];

/** The answer to "5 miles in km"; null when the text asks for no conversion. `text` is in lower case. */
export function convert(text: string): string | null {
  const question = text.replace(/^(?:convert|(?:what is|what's|whats)|how much is)\s+/, '');
  for (const { pattern, order } of FORMS) {
    const match = pattern.exec(question);
    if (match === null) continue;
    const [amount, from, to] = order.map((group) => match[group]!) as [string, string, string];
    const [source, target] = [UNITS.get(from.trim()), UNITS.get(to.trim())];
    if (source === undefined || target === undefined) continue;
    if (source.kind !== target.kind)
      return `I cannot turn ${source.label} (${source.kind}) into ${target.label} (${target.kind}).`;
    return conversion(amountOf(amount), source, target);
  }
  return null;
}

function conversion(amount: number, from: Unit, to: Unit): string {
  const base = (amount + from.offset) * from.factor;
  if (from.kind === 'temperature' && base < 0) return 'Nothing is that cold: it is below absolute zero.';
  return `${quantity(amount, 10, from)} = ${quantity(dust(base / to.factor - to.offset), 6, to)}`;
}

function quantity(value: number, digits: number, { label }: Unit): string {
  const number = formatNumber(value, digits);
  return `${number} ${number === '1' && label.length > 3 ? label.replace(/s$/, '') : label}`;
}

/** Takes off what subtracting an offset leaves behind (0 C in F is 32, not 31.999999999999943). */
function dust(value: number): number {
  return Number(value.toFixed(9)) === 0 ? value : Number(value.toPrecision(12));
}

function amountOf(text: string): number {
  if (text.startsWith('half')) return 0.5;
  return text.startsWith('a') ? 1 : Number(text.replaceAll(',', ''));
}
