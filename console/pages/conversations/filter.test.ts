import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filterOf, paramsOf, textsOf } from './filter.ts';

const NUMBERS = ['555', '+1 555', '(555) 010-0142', '1', '+353/86.1'];
const TEXTS = ['parcel', 'SM0123456789abcdef0123456789abcdef', 'agent_timeout', '+', '++', 'a1', '你好'];

test('what is written like a number filters conversations, anything else is looked for in texts', () => {
  for (const q of NUMBERS) {
    const params = paramsOf(`q=${encodeURIComponent(q)}&state=failed`);
    assert.equal(textsOf(params), null, q);
    assert.deepEqual(filterOf(params), { state: 'failed', phone: q });
    assert.equal(textsOf({ ...params, in: 'texts' }), q.length > 1 ? q : null);
  }
  for (const q of TEXTS) {
    const params = paramsOf(`q=${encodeURIComponent(q)}&since=1h`);
    assert.equal(textsOf(params), q.length > 1 ? q : null, q);
    assert.deepEqual(filterOf(params), { since: '1h' });
  }
});

test('a link to a number, and what is none of ours', () => {
  assert.deepEqual(paramsOf('phone=%2B1555'), { q: '+1555' });
  assert.deepEqual(paramsOf('q=&state=&colour=red'), {});
});
