// The stage TLS of the probe, and calls after it, against certificates that are right, of another name, out of date and of nobody.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { createProbe } from '../../src/agents/staged-probe/probe.ts';
import { createEgress } from '../../src/security/guarded-fetch.ts';
import { AUTHORITY, CERTIFICATES } from '../support/certificates.ts';
import { type Peer, startPeer } from '../support/protocol-peer.ts';

const EGRESS = ['127.0.0.1', '::1'];

let peer: Peer;
before(async () => {
  peer = await startPeer();
});
after(() => peer.close());

async function probe(certificate: { readonly key: string; readonly cert: string }, host = 'localhost') {
  const server = createServer(certificate, (_request, response) => response.writeHead(401).end());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const http = createEgress({ allow: EGRESS, connectMs: 2_000 });
  try {
    const { port } = server.address() as AddressInfo;
    const look = createProbe({ http, egressAllow: EGRESS });
    const found = await look(peer.agent('envelope', { endpointUrl: `https://${host}:${port}/` }), {
      depth: 'full',
      limits: { connectMs: 2_000, answerMs: 1_000, totalMs: 6_000 },
      isKnownThere: true,
      forgivesSlowness: false,
    });
    const { outcome, detail } = found.stages.find(({ stage }) => stage === 'tls')!;
    return { outcome, detail, hint: found.hint, code: found.code, failed: found.failed_stage };
  } finally {
    await http.destroy();
    server.closeAllConnections();
    server.close();
  }
}

test('a certificate that nobody vouches for', async () => {
  const found = await probe(CERTIFICATES.localhost);
  assert.deepEqual([found.failed, found.code], ['tls', 'agent_tls']);
  assert.match(found.detail, /UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT/);
  assert.match(found.hint!, /certificate that browsers trust, for this name/);
});

test('one for another name, one that is out of date, and one that is right', async (t) => {
  const usual = getCACertificates();
  setDefaultCACertificates([...usual, AUTHORITY]);
  t.after(() => setDefaultCACertificates(usual));
  const other = await probe(CERTIFICATES.other);
  assert.deepEqual([other.failed, other.code], ['tls', 'agent_tls']);
  assert.match(other.detail, /ERR_TLS_CERT_ALTNAME_INVALID/);
  const expired = await probe(CERTIFICATES.expired);
  assert.deepEqual([expired.failed, expired.code], ['tls', 'agent_tls']);
  assert.match(expired.detail, /CERT_HAS_EXPIRED/);
  const right = await probe(CERTIFICATES.localhost);
  assert.deepEqual([right.outcome, right.detail], ['passed', 'TLSv1.3']);
  // What it answered is another stage's business.
  assert.notEqual(right.failed, 'tls');
});

test('the certificate of an address is checked for the address', async (t) => {
  const usual = getCACertificates();
  setDefaultCACertificates([...usual, AUTHORITY, CERTIFICATES.address.cert]);
  t.after(() => setDefaultCACertificates(usual));
  const right = await probe(CERTIFICATES.address, '127.0.0.1');
  assert.deepEqual([right.outcome, right.detail], ['passed', 'TLSv1.3']);
  const named = await probe(CERTIFICATES.localhost, '127.0.0.1');
  assert.deepEqual([named.failed, named.code], ['tls', 'agent_tls']);
  assert.match(named.detail, /ERR_TLS_CERT_ALTNAME_INVALID/);
});
