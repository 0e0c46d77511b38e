-- Who is to be onboarded along with a new tenant; null once its cell has taken that over, for it holds a mail address.
ALTER TABLE directory.tenants ADD COLUMN customer jsonb;
