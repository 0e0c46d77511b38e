-- One round trip that enters the tenant's transaction and tells all that decides about the request.
SELECT epoch, fence_state, tenant_state, subscription_state, key_id, secret_hash FROM cell.enter($1, $2, $3, $4)
