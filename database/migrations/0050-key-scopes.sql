-- reply and send: what a program may say over MCP. chat: asking agents through the MCP adapter.
alter table api_keys
  drop constraint api_keys_scopes_check,
  add constraint api_keys_scopes_check
    check (scopes <> '{}' and scopes <@ array['read', 'write', 'reply', 'send', 'chat']);
