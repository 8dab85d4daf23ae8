-- The detections follow the log of every cell; where they stand in each is kept here, in home, beside the pages: both
-- move in one transaction, so an event is paged once, whichever database it happened in.
alter table oncall.cursor add column cell text not null default 'home' check (cell <> '');
alter table oncall.cursor drop column only_row;
alter table oncall.cursor alter column cell drop default;
alter table oncall.cursor add primary key (cell);
grant insert on oncall.cursor to ax_sentinel;
