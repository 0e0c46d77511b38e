-- A customer, as the provider of identities knows it.
INSERT INTO cell.organisations (organisation_id, display_name) VALUES ($1, $2)
