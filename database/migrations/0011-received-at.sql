-- When the webhook reached us; the id says when the text was stored. Null: a keyword, a reply, or older than this column.
alter table messages add column received_at timestamptz;
