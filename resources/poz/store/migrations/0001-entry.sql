create table entry (
  kind text not null,
  k blob not null,
  v blob not null,
  primary key (kind, k)
)
