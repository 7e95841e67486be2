-- Bars that the live path missed are analysed when it is back, and marked: nobody could have acted on what is said of them.
-- Without a default and without "not null", which a compressed hypertable does not take.

alter table prediction add column late boolean;
alter table recommendation add column late boolean;

comment on column prediction.late is
    'True for a bar that the live path missed, or got to when it was long closed: part of no track record. Null: in time.';
comment on column recommendation.late is
    'True for a bar that the live path missed, or got to when it was long closed: part of no track record. Null: in time.';
