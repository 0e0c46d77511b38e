-- Who may do everything in an organisation.
INSERT INTO cell.organisation_users (organisation_id, user_id, email, role) VALUES ($1, $2, $3, 'ADMIN')
