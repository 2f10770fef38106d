#!/usr/bin/python3
"""A stand-in for the replication feed: brings every change of the documents to the child table, a little late.

    feed.py FOLDER CHILD [VOUCHERS]     writes that many vouchers to the stand-in for MongoDB first, if it has none
"""
import json
import sys
import time

import psycopg2
from psycopg2.errors import SerializationFailure

from mongo import Mongo

mongo = Mongo(sys.argv[1])
connection = psycopg2.connect("")
connection.autocommit = True
upsert = f"INSERT INTO {sys.argv[2]} (_id, _doc) VALUES (%s, %s) ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc"
waiting = mongo.changes()
if not waiting:
    for n in range(int(sys.argv[3]) if len(sys.argv) > 3 else 0):
        mongo.insert({"_id": f"v{n}", "id": f"v{n}", "redeemed": 0})
while True:
    for document in waiting:
        while True:
            try:
                connection.cursor().execute(upsert, (document["_id"], json.dumps(document)))
                break
            except SerializationFailure:  # 40001: its row was just being moved
                continue
    time.sleep(0.2)
    waiting = mongo.changes()
