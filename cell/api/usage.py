"""What the tenant used, by time: `usage`. It is complete up to the moment of asking."""

from datetime import UTC, datetime

from cell.api.context import Context
from cell.api.models import Bucket, Usage
from cell.database import SQL
from cell.rules.meters import METERS, period
from runtime.api.endpoint import Call, Reply


async def get(call: Call[Context]) -> Reply:
    """200, possibly without any use; 400 when it would be too many steps."""
    asked = call.query
    whole = period(asked.start, asked.end, asked.step, datetime.now(UTC))
    rows = await call.context.connection.fetch(SQL["usage"], asked.meter, whole.start, whole.end, asked.step)
    buckets = [Bucket(start=row["start"], quantity=int(row["quantity"])) for row in rows]
    return Reply(
        body=Usage(
            meter=asked.meter,
            unit=METERS[asked.meter].unit,
            start=whole.start,
            end=whole.end,
            step=asked.step,
            total=sum(bucket.quantity for bucket in buckets),
            buckets=buckets,
        )
    )
