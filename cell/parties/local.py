"""All parties as this cell plays them: in its own database, but for mail where there is a mail server."""

from cell.parties.billing import LocalBilling
from cell.parties.identity import LocalIdentity
from cell.parties.mail import Outbox
from cell.parties.resources import LocalResources
from cell.parties.seams import Mail, Parties
from cell.parties.smtp import SmtpMail, mail_server
from cell.settings import CellSettings
from runtime.database import Pool


def local_parties(pool: Pool, settings: CellSettings) -> Parties:
    """On the worker's pool, as role `cell_app`."""
    mail: Mail = Outbox(pool)
    if settings.smtp_url is not None:
        mail = SmtpMail(pool, mail_server(settings.smtp_url, settings.mail_from))
    return Parties(LocalIdentity(pool), LocalBilling(pool), mail, LocalResources(pool))
