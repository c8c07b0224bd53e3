-- People choose who answers them: by name, or with a word of the number's own.
alter table phone_numbers
  -- Whether AGENTS lists those who can answer, and USE and a name chooses one.
  add column agent_choice boolean not null default true,
  -- Word → { "type": … } or { "agent": name }: a text of just this word chooses who answers.
  add column keywords jsonb not null default '{}' check (jsonb_typeof(keywords) = 'object');

-- The type that the person chose; null: the number's.
alter table agent_sessions add column agent_type text;
