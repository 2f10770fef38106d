#!/usr/bin/python3
"""An application in the middle of its migration: it redeems vouchers, which are in MongoDB until the flag says otherwise.

    app.py FOLDER [SECONDS]     FOLDER: of the stand-in for MongoDB, see mongo.py; PostgreSQL: PGHOST, PGDATABASE, …

Each acknowledged request is a line of JSON on standard output. Several of these may run at once.
"""
import json
import random
import select
import sys
import time

import psycopg2
from psycopg2.errors import SerializationFailure

from mongo import Mongo

TENANT, PROJECT, ENTITY = "acme", "spring", "voucher"


class Postgres:
    """The vouchers in PostgreSQL, within the transaction of a cursor. Parent or child: one UPDATE finds the row in either."""

    name = "postgresql"

    def __init__(self, cursor):
        self.cursor = cursor

    def redeem(self, voucher):
        self.cursor.execute(
            "UPDATE vouchers SET redeemed = redeemed + 1, updated_at = clock_timestamp()"
            " WHERE tenant_id = %s AND project_id = %s AND id = %s RETURNING redeemed", (TENANT, PROJECT, voucher))
        return self.cursor.fetchone()[0]


class Application:
    def __init__(self, folder):
        self.mongo = Mongo(folder)
        self.postgres = psycopg2.connect("")
        self.listener = psycopg2.connect("")
        self.listener.autocommit = True
        self.listener.cursor().execute("LISTEN voucher_migrate")
        self.seen = {}  # voucher → redeemed, for pages that may show an old number, but none of another store

    def forget_on_switch(self):
        """The flag needs no cache of ours. What was read from the store that is no longer asked has to go, though."""
        if select.select([self.listener], [], [], 0)[0]:
            self.listener.poll()
            self.listener.notifies.clear()
            self.seen.clear()

    def is_switched(self, cursor):
        cursor.execute("SELECT vm_is_switched(%s, %s, %s)", (TENANT, PROJECT, ENTITY))
        return cursor.fetchone()[0]

    def redeem(self, voucher):
        """One request: one transaction, one store."""
        self.forget_on_switch()
        while True:
            try:
                with self.postgres, self.postgres.cursor() as cursor:
                    # Whoever switches takes this lock alone, so that no write to MongoDB is under way then.
                    cursor.execute("SELECT pg_advisory_xact_lock_shared(hashtext(%s))", (f"{TENANT}/{PROJECT}",))
                    store = Postgres(cursor) if self.is_switched(cursor) else self.mongo
                    redeemed = store.redeem(voucher)
                    again = "postgresql" if self.is_switched(cursor) else "mongodb"
                self.seen[voucher] = redeemed
                return {"voucher": voucher, "redeemed": redeemed, "store": store.name, "flag_at_end": again}
            except SerializationFailure:  # 40001: the row was just being moved to its place
                continue


if __name__ == "__main__":
    application = Application(sys.argv[1])
    until = time.monotonic() + float(sys.argv[2] if len(sys.argv) > 2 else 60)
    while time.monotonic() < until:
        print(json.dumps(application.redeem(f"v{random.randrange(20)}")), flush=True)
        time.sleep(random.uniform(0, 0.02))
