-- From now on it is pinned with a trigger that it fires always; the pins are taken anew after each migration.
comment on trigger mark_tenant on platform.hold is 'fires always: a mover is a replica, and its hold must hold';
comment on trigger mark_tenant on platform.departure is 'fires always: a mover is a replica, and a departure must be seen';
