-- 10DLC: American carriers count what a campaign sends in a minute (AT&T) and what a brand, with all its campaigns, sends in
-- a day (T-Mobile), in segments.

create table brands (
  id uuid primary key default new_id(),
  name text not null unique check (length(name) between 1 and 50),
  -- From midnight to midnight in Los Angeles; null: not limited. A part has up to 30 segments: less would hold it for ever.
  daily_segments int check (daily_segments >= 100),
  created_at timestamptz not null default now()
);
comment on table brands is 'Who is registered with the carriers; the cap of a day is shared by all campaigns of a brand.';

create table campaigns (
  id uuid primary key default new_id(),
  name text not null unique check (length(name) between 1 and 50),
  brand_id uuid references brands,
  -- Null: not limited.
  segments_per_minute int check (segments_per_minute >= 10),
  created_at timestamptz not null default now()
);
comment on table campaigns is 'What a brand may send, as registered; its numbers share the limit of a minute.';

-- Null: the number is paced by its own rate alone.
alter table phone_numbers add column campaign_id uuid references campaigns;

create table pacing_windows (
  -- A campaign, whose windows are ten seconds long, or a brand, whose windows are days in Los Angeles.
  holder uuid not null,
  starts_at timestamptz not null,
  -- Segments of replies, and of bulk that has left.
  taken int not null default 0,
  -- Segments of bulk in line: replies pass it.
  planned int not null default 0,
  primary key (holder, starts_at)
) with (fillfactor = 50);
comment on table pacing_windows is 'What campaigns and brands have reserved of their limits; windows that nothing was reserved in have no row.';
