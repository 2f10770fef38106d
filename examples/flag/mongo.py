"""A stand-in for MongoDB, as far as the example needs one: documents in a log of changes, in a file that processes share."""
import fcntl
import json
import os
import time


class Mongo:
    name = "mongodb"

    def __init__(self, folder):
        self.log = open(os.path.join(folder, "changes.jsonl"), "a+", encoding="utf-8")
        self.documents = {}
        self.read = 0

    def changes(self):
        """Documents written since the last call, in their order."""
        self.log.seek(self.read)
        lines = self.log.readlines()
        if lines and not lines[-1].endswith("\n"):  # still being written
            lines.pop()
        self.read += sum(len(line.encode()) for line in lines)
        fresh = [json.loads(line) for line in lines]
        self.documents.update((document["_id"], document) for document in fresh)
        return fresh

    def redeem(self, voucher):
        fcntl.flock(self.log, fcntl.LOCK_EX)
        try:
            self.changes()
            document = dict(self.documents[voucher])
            document["redeemed"] += 1
            self.insert(document)
        finally:
            fcntl.flock(self.log, fcntl.LOCK_UN)
        return document["redeemed"]

    def insert(self, document):
        document["updated_at"] = {"$date": int(time.time() * 1000)}
        self.log.write(json.dumps(document) + "\n")
        self.log.flush()
