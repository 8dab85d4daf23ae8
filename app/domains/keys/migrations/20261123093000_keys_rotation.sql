-- Data keys move to another key-encryption key when a tenant switches its key source: the same key, wrapped anew. The
-- commitment, id, purpose, version and times can still be written once and never changed, so a wrap that holds another
-- key is noticed at its next use. The commit guard wants an entry of the key in the same transaction.
grant update (wrapped, kek_ref) on app.dek to ax_workspace;
