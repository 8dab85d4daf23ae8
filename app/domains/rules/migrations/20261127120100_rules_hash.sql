-- What a review of access freezes beside what the policies allow: which rules of the organisation's own were in force, by a
-- hash that anybody recomputes from the text, and where people belong. The issuer reads these and no text. Null: of a version
-- that was written before hashes were kept.
alter table app.access_rules add column text_hash bytea check (octet_length(text_hash) = 32);
grant insert (text_hash) on app.access_rules to ax_workspace;
grant select (tenant_id, version, text_hash) on app.access_rules to ax_issuer;
grant select (tenant_id, id, office_id) on app.office_person to ax_issuer;
