// What time it is somewhere: the zones that Intl knows, plus names people text that are no zone names.

// Zone → cities, countries and abbreviations that mean it. Countries only where the whole country keeps one time.
const MORE_NAMES: Readonly<Record<string, string>> = {
  UTC: 'utc,gmt,zulu,coordinated universal time',
  'America/New_York':
    'nyc,boston,washington,washington dc,miami,atlanta,philadelphia,florida,est,edt,eastern,eastern time',
  'America/Chicago':
    'houston,dallas,austin,san antonio,minneapolis,new orleans,nashville,texas,cst,cdt,central,central time',
  'America/Denver': 'salt lake city,albuquerque,colorado,utah,mst,mdt,mountain,mountain time',
  'America/Phoenix': 'arizona',
  'America/Los_Angeles':
    'la,san francisco,sf,san diego,san jose,seattle,portland,las vegas,oakland,california,pst,pdt,pacific,pacific time,silicon valley',
  'Pacific/Honolulu': 'hawaii,hst',
  'America/Anchorage': 'alaska,akst',
  'America/Toronto': 'montreal,ottawa,quebec',
  'America/Edmonton': 'calgary',
  'America/Mexico_City': 'mexico,cdmx',
  'America/Sao_Paulo': 'rio,rio de janeiro,brasilia',
  'America/Argentina/Buenos_Aires': 'argentina',
  'America/Lima': 'peru',
  'America/Bogota': 'colombia,medellin',
  'Europe/London':
    'uk,united kingdom,england,britain,great britain,scotland,wales,manchester,edinburgh,glasgow,birmingham,bst',
  'Europe/Dublin': 'ireland',
  'Europe/Lisbon': 'porto',
  'Europe/Madrid': 'barcelona,valencia,seville',
  'Europe/Paris': 'france,lyon,marseille,nice,cet,cest',
  'Europe/Berlin': 'germany,munich,hamburg,frankfurt,cologne,stuttgart',
  'Europe/Zurich': 'switzerland,geneva,basel,bern',
  'Europe/Vienna': 'austria',
  'Europe/Rome': 'italy,milan,naples,florence,venice',
  'Europe/Amsterdam': 'netherlands,holland,the hague,rotterdam',
  'Europe/Brussels': 'belgium',
  'Europe/Copenhagen': 'denmark',
  'Europe/Stockholm': 'sweden',
  'Europe/Oslo': 'norway',
  'Europe/Helsinki': 'finland,eet',
  'Europe/Warsaw': 'poland,krakow',
  'Europe/Prague': 'czechia,czech republic',
  'Europe/Budapest': 'hungary',
  'Europe/Athens': 'greece',
  'Europe/Kiev': 'ukraine,kyiv,kiev',
  'Europe/Moscow': 'st petersburg,saint petersburg',
  'Europe/Istanbul': 'turkey,turkiye,ankara',
  'Asia/Jerusalem': 'israel,tel aviv',
  'Asia/Dubai': 'uae,abu dhabi,united arab emirates',
  'Asia/Riyadh': 'saudi arabia',
  'Africa/Cairo': 'egypt',
  'Africa/Lagos': 'nigeria',
  'Africa/Nairobi': 'kenya',
  'Africa/Johannesburg': 'south africa,cape town',
  'Asia/Karachi': 'pakistan,lahore',
  'Asia/Calcutta': 'india,mumbai,delhi,new delhi,bangalore,bengaluru,chennai,kolkata,calcutta,hyderabad',
  'Asia/Katmandu': 'nepal,kathmandu',
  'Asia/Dhaka': 'bangladesh',
  'Asia/Bangkok': 'thailand',
  'Asia/Saigon': 'vietnam,hanoi,ho chi minh city,saigon',
  'Asia/Kuala_Lumpur': 'malaysia',
  'Asia/Manila': 'philippines',
  'Asia/Shanghai': 'china,beijing,shenzhen,guangzhou',
  'Asia/Hong_Kong': 'hongkong',
  'Asia/Taipei': 'taiwan',
  'Asia/Seoul': 'korea,south korea,busan',
  'Asia/Tokyo': 'japan,osaka,kyoto,jst',
  'Australia/Sydney': 'canberra,aest',
  'Pacific/Auckland': 'new zealand,wellington',
  'Atlantic/Reykjavik': 'iceland',
};

let zones: ReadonlyMap<string, string> | undefined;

/** Built on first use: listing 400 zones is not worth delaying the start. */
function zonesByName(): ReadonlyMap<string, string> {
  if (zones !== undefined) return zones;
  const found = new Map<string, string>();
  for (const zone of Intl.supportedValuesOf('timeZone')) {
    found.set(zone.toLowerCase(), zone);
    found.set(plain(zone.slice(zone.lastIndexOf('/') + 1)), zone);
  }
  for (const [zone, names] of Object.entries(MORE_NAMES)) for (const name of names.split(',')) found.set(name, zone);
  zones = found;
  return found;
}

/** The zone of a place as people write it ("Tokyo", "san francisco, ca", "Europe/Paris"); null when it is not known. */
export function zoneOf(place: string): string | null {
  const known = zonesByName();
  const candidates = [
    place.trim().toLowerCase(),
    plain(place),
    plain(place.split(',')[0]!),
    plain(place.replace(/^the\s+/i, '')),
  ];
  for (const candidate of candidates) {
    const zone = known.get(candidate);
    if (zone !== undefined) return zone;
  }
  return place.includes('/') && isZone(place) ? place : null;
}

/** Zones have more names than Intl lists: Asia/Kolkata is listed as Asia/Calcutta. */
function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

function plain(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[_\s]+/g, ' ')
    .replace(/\./g, '')
    .trim();
}

/** "It is 2:05 PM on Friday, October 3 in Tokyo (GMT+9)." */
export function timeIn(place: string, zone: string, now: Date): string {
  const part = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('en-US', { timeZone: zone, ...options });
  const time = part({ hour: 'numeric', minute: '2-digit' }).format(now);
  const day = part({ weekday: 'long', month: 'long', day: 'numeric' }).format(now);
  const offset = part({ timeZoneName: 'shortOffset' })
    .formatToParts(now)
    .find(({ type }) => type === 'timeZoneName')?.value;
  const name = /^[\p{L}]{1,3}$/u.test(place)
    ? place.toUpperCase()
    : place.replace(/(?<=^|[\s/_-])\p{Ll}/gu, (letter) => letter.toUpperCase());
  return `It is ${time} on ${day} in ${name} (${offset ?? 'UTC'}).`;
}
