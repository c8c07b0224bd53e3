// What a client has to know of this installation, and what a text would cost.
import type { FastifyInstance } from 'fastify';
import packageJson from '../../../package.json' with { type: 'json' };
import { listAddresses } from '../../accounts/number-settings.ts';
import { describeSegments } from '../../channels/segments.ts';
import type { Config } from '../../config.ts';
import type { Sql } from '../../database/pools.ts';
import { packWords } from '../../inbox/takeover.ts';
import { Instance } from '../contract/access.ts';
import { Segments, SegmentsBody } from '../contract/phone.ts';
import { route } from '../routes.ts';

export type InstanceDeps = {
  readonly sql: Sql;
  readonly config: Pick<Config, 'publicUrl' | 'prices'> & { readonly carrier: Pick<Config['carrier'], 'kind'> };
};

export function instanceRoutes(app: FastifyInstance, { sql, config }: InstanceDeps): void {
  route(app, {
    method: 'GET',
    path: '/v1/instance',
    summary: 'This installation',
    tag: 'console',
    scope: 'read',
    answers: { 200: Instance },
    handle: async () => ({
      version: packageJson.version,
      carrier: config.carrier.kind,
      public_url: config.publicUrl,
      numbers: await listAddresses(sql),
    }),
  });

  route(app, {
    method: 'POST',
    path: '/v1/segments',
    summary: 'How many segments a text takes, and what it costs',
    description:
      'Counted as carriers do, after what happens to the words of an operator before they are sent. The price is that of `DARKSPERE_SEGMENT_MICRO_USD`, or of `DARKSPERE_MMS_MICRO_USD` with pictures; the fees of the mobile networks come on top.',
    tag: 'console',
    scope: 'read',
    body: SegmentsBody,
    answers: { 200: Segments },
    handle: async ({ body: { text, media, by } }) => {
      const sent = by === 'operator' ? packWords(text) : { body: text, parts: null };
      const { encoding, characters, segments: whole, left, forcedBy } = describeSegments(sent.body);
      const segments = sent.parts?.reduce((sum, part) => sum + part.segments, 0) ?? whole;
      const cost = media > 0 ? config.prices.mms : segments * config.prices.segment;
      const parts = sent.parts?.length ?? 1;
      return { encoding, characters, segments, parts, left, forced_by: [...forcedBy], cost_micro_usd: cost };
    },
  });
}
