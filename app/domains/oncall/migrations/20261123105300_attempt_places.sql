-- Where an attempt stands in its tenant's log, so that the operator can name the entry without reading that log.
alter table oncall.attempt add column log_index bigint;
-- Positions are of one cell; the ids of entries are in the order of time over all of them.
alter table oncall.attempt drop column position;
create index attempt_in_time on oncall.attempt (canary, entry_id desc);
