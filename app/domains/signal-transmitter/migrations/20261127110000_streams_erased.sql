-- A stream that ends is erased with its address and its secrets; what it was stands in the log.
alter table identity.signal_stream disable trigger user;
delete from identity.signal_stream where removed_at is not null;
alter table identity.signal_stream enable trigger user;
alter table identity.signal_stream drop column removed_at;
grant delete on identity.signal_stream to ax_issuer;
