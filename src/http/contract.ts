// What the console and other clients of /v1 exchange with the gateway: the shapes of answers and bodies, as schemas. The routes
// check against them, docs/reference/openapi.json is generated from them, and the console imports their types and nothing
// else. Times are ISO 8601 in UTC, ids are UUIDs, durations are milliseconds. Fields are only ever added.

export * from './contract/access.ts';
export * from './contract/adapter.ts';
export * from './contract/agent-reads.ts';
export * from './contract/agents.ts';
export * from './contract/basics.ts';
export * from './contract/conversations.ts';
export * from './contract/events.ts';
export * from './contract/operator.ts';
export * from './contract/overview.ts';
export * from './contract/path.ts';
export * from './contract/phone.ts';
