-- How many of each effect a tenant has, whatever row security says: for a superuser.
SELECT t.tenant_id,
       (SELECT count(*) FROM cell.orchestrations x WHERE x.tenant_id = t.tenant_id AND x.workflow = 'onboarding'
           AND x.outcome = 'COMPLETED') AS onboardings,
       (SELECT count(*) FROM cell.orchestrations x WHERE x.tenant_id = t.tenant_id AND x.workflow = 'trial') AS trials,
       (SELECT count(*) FROM cell.organisations x WHERE x.tenant_id = t.tenant_id) AS organisations,
       (SELECT count(*) FROM cell.organisation_users x WHERE x.tenant_id = t.tenant_id) AS administrators,
       (SELECT count(*) FROM cell.accounts x WHERE x.tenant_id = t.tenant_id) AS accounts,
       (SELECT count(*) FROM cell.billing_subscriptions x WHERE x.tenant_id = t.tenant_id
           AND x.state = 'TRIAL') AS billed,
       (SELECT count(*) FROM cell.subscriptions x WHERE x.tenant_id = t.tenant_id AND x.state = 'TRIAL') AS subscriptions,
       (SELECT count(*) FROM cell.namespaces x WHERE x.tenant_id = t.tenant_id AND x.state = 'ACTIVE') AS namespaces,
       (SELECT count(*) FROM cell.allocations x WHERE x.tenant_id = t.tenant_id) AS allocations,
       (SELECT count(*) FROM cell.taken_resources x WHERE x.tenant_id = t.tenant_id
           AND x.kind = 'encryption_key') AS encryption_keys,
       (SELECT count(*) FROM cell.taken_resources x WHERE x.tenant_id = t.tenant_id
           AND x.kind = 'search_attributes') AS search_attributes,
       (SELECT count(*) FROM cell.mails x WHERE x.tenant_id = t.tenant_id) AS mails,
       (SELECT count(*) FROM cell.api_keys x WHERE x.tenant_id = t.tenant_id) AS api_keys
FROM cell.tenants t
ORDER BY t.tenant_id
