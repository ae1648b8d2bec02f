-- Ledger of the reference payment system: accounts, double entry with one version chain for each account,
-- idempotency keys with their stored answers, an outbox for settlement, an audit trail.
-- All money is bigint minor units with a currency.

create table accounts (
    account       text primary key,
    currency      text   not null,
    opening_minor bigint not null,
    balance_minor bigint not null check (balance_minor >= 0 or account like 'shop-%'),
    version       bigint not null default 0          -- number of entries booked so far
) with (fillfactor = 50);                            -- room for updates within the page

-- The claim on a key and the answer that it got. The primary key is what makes a payment happen once.
create table idempotency_keys (
    key         text primary key,
    fingerprint text not null,
    status      integer,
    body        text,
    claimed_at  timestamptz not null default clock_timestamp()
) with (fillfactor = 70);

-- No unique key on idempotency_key: uniqueness is the business of the claim above, and a build that forgets
-- to claim must be able to show its double payments to whoever reads this table.
create table payments (
    id              uuid primary key,
    idempotency_key text        not null,
    amount_minor    bigint      not null check (amount_minor > 0),
    currency        text        not null,
    debtor          text        not null,
    creditor        text        not null,
    status          text        not null,
    fraud_score     integer     not null,
    instance        text        not null,
    created_at      timestamptz not null default clock_timestamp()
);
create index payments_by_key on payments (idempotency_key);

create table entries (
    account             text   not null,
    version             bigint not null,
    payment_id          uuid   not null,
    amount_minor        bigint not null,
    currency            text   not null,
    balance_after_minor bigint not null,
    primary key (account, version)
);
create index entries_by_payment on entries (payment_id);

create table outbox (
    seq             bigint generated always as identity primary key,
    payment_id      uuid        not null,
    idempotency_key text        not null,
    amount_minor    bigint      not null,
    currency        text        not null,
    created_at      timestamptz not null default clock_timestamp(),
    relayed_at      timestamptz
);
create index outbox_waiting on outbox (seq) where relayed_at is null;

create table audit (
    seq             bigint generated always as identity primary key,
    idempotency_key text        not null,
    payment_id      uuid,
    event           text        not null,
    fraud_score     integer     not null,
    instance        text        not null,
    at              timestamptz not null default clock_timestamp()
);

-- One secret signs the tokens of all gateways, so that a token survives the gateway that issued it.
create table signing_key (secret text not null);
insert into signing_key select gen_random_uuid()::text || gen_random_uuid()::text;

-- The one user of drills; a fixed password of a system that holds play money only.
create table api_users (name text primary key, salt text not null, digest text not null);
insert into api_users
select 'drill', salt, encode(sha256(convert_to(salt || 'drill-only', 'UTF8')), 'hex')
from (select gen_random_uuid()::text as salt) as drawn;

-- cust-0001 and cust-0002 are asked most often and hold little: a drill of some hundred payments sees declines there
-- and nowhere else. The others cannot run dry within a drill.
insert into accounts (account, currency, opening_minor, balance_minor)
select 'cust-' || lpad(n::text, 4, '0'), 'EUR', held, held
from generate_series(1, 200) as n,
     lateral (select case n when 1 then 100000 when 2 then 50000 else 1000000000 end as held) as holding;
insert into accounts (account, currency, opening_minor, balance_minor)
select 'shop-' || lpad(n::text, 4, '0'), 'EUR', 0, 0 from generate_series(1, 50) as n;

-- One payment: one call, one transaction, one round trip. Either all of it is there afterwards, or nothing.
--   p_claim      the name under which key and answer are kept; the idempotency key
--   p_allowed    false when the fraud decision forbids it
--   p_accepted   answer when the money moves; p_declined: answer when it does not
create function pay(
    p_claim text, p_key text, p_fingerprint text, p_id uuid, p_amount bigint, p_currency text,
    p_debtor text, p_creditor text, p_allowed boolean, p_score integer, p_instance text,
    p_accepted text, p_declined text
) returns table (answer_status integer, answer_body text, replayed boolean)
language plpgsql as $$
declare
    stored         idempotency_keys%rowtype;
    holding        record;
    found_accounts integer := 0;
    foreign_money  boolean := false;
    available      bigint  := 0;
    debtor_after   record;
    creditor_after record;
    final_status   integer;
    final_body     text;
begin
    -- Claim the key. A concurrent duplicate waits here until the first one has committed or is gone.
    insert into idempotency_keys (key, fingerprint) values (p_claim, p_fingerprint) on conflict do nothing;
    if not found then
        select k.* into strict stored from idempotency_keys as k where k.key = p_claim;
        if stored.fingerprint <> p_fingerprint then
            return query select 422, '{"error":"key-reused"}', false;
        else
            return query select stored.status, stored.body, true;
        end if;
        return;
    end if;

    -- Both accounts, always in the same order, so that two payments can never wait for each other in a circle.
    for holding in
        select a.account, a.currency, a.balance_minor from accounts as a
        where a.account in (p_debtor, p_creditor) order by a.account for update
    loop
        found_accounts := found_accounts + 1;
        foreign_money := foreign_money or holding.currency <> p_currency;
        if holding.account = p_debtor then
            available := holding.balance_minor;
        end if;
    end loop;

    if found_accounts <> 2 then
        final_status := 404; final_body := '{"error":"unknown-account"}';
    elsif foreign_money then
        final_status := 400; final_body := '{"error":"currency-of-account-differs"}';
    elsif not p_allowed or available < p_amount then
        final_status := 402; final_body := p_declined;
    else
        final_status := 201; final_body := p_accepted;
        update accounts as a set balance_minor = a.balance_minor - p_amount, version = a.version + 1
            where a.account = p_debtor returning a.version, a.balance_minor into debtor_after;
        update accounts as a set balance_minor = a.balance_minor + p_amount, version = a.version + 1
            where a.account = p_creditor returning a.version, a.balance_minor into creditor_after;
        insert into payments (id, idempotency_key, amount_minor, currency, debtor, creditor, status, fraud_score, instance)
            values (p_id, p_key, p_amount, p_currency, p_debtor, p_creditor, 'authorised', p_score, p_instance);
        insert into entries (account, version, payment_id, amount_minor, currency, balance_after_minor) values
            (p_debtor, debtor_after.version, p_id, -p_amount, p_currency, debtor_after.balance_minor),
            (p_creditor, creditor_after.version, p_id, p_amount, p_currency, creditor_after.balance_minor);
        insert into outbox (payment_id, idempotency_key, amount_minor, currency)
            values (p_id, p_key, p_amount, p_currency);
    end if;

    insert into audit (idempotency_key, payment_id, event, fraud_score, instance) values (
        p_key, case final_status when 201 then p_id end,
        case final_status when 201 then 'authorised' when 402 then 'declined' else 'refused' end, p_score, p_instance);
    update idempotency_keys as k set status = final_status, body = final_body where k.key = p_claim;
    return query select final_status, final_body, false;
end
$$;

-- Runs a payment and takes it back: a new connection has then planned every statement before it serves a customer.
create function warm_up() returns void language plpgsql as $$
begin
    perform pay('warm-up/' || pg_backend_pid(), 'warm-up', '', gen_random_uuid(), 1, 'EUR', 'cust-0200', 'shop-0050',
                true, 0, '', '', '');
    raise exception using errcode = 'P0W01';
exception when sqlstate 'P0W01' then
    return;
end
$$;

-- Where the schema is loaded by another role than the one that the services use.
grant select, insert, update on all tables in schema public to payments;
