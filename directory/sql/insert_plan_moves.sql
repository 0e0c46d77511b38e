-- The moves of a plan, all at once: there may be thousands. $2 is the first number, $3 the wave before their first.
INSERT INTO directory.plan_moves (plan_id, number, wave, tenant_id, source, destination, bytes, reason, takes, offer)
SELECT $1, $2 + m.place - 1, $3 + m.wave, m.tenant_id, m.source, m.destination, m.bytes, m.reason,
       m.takes::double precision[], m.offer
FROM unnest($4::integer[], $5::text[], $6::text[], $7::text[], $8::double precision[], $9::text[], $10::text[],
            $11::bigint[]) WITH ORDINALITY
     AS m(wave, tenant_id, source, destination, bytes, reason, takes, offer, place)
