"""A stand-in for BigQuery: the few requests of its REST interface that a load job makes, over HTTP on this machine."""

import contextlib
import http.server
import io
import json
import re
import threading
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

TABLE = re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables/([^/?]+)")
JOB = re.compile(r"/bigquery/v2/projects/([^/]+)/jobs/([^/?]+)")
UPLOAD = "/upload/bigquery/v2/projects/"
TYPES = {pa.string(): "STRING", pa.int32(): "INTEGER", pa.float32(): "FLOAT", pa.float64(): "FLOAT"}
Answer = tuple[int, dict]


class Warehouse:
    """Tables of some datasets, and the jobs that load them. Rows are there when a job is looked at and found done."""

    def __init__(self, *datasets: str) -> None:
        self.datasets = set(datasets)
        self.tables: dict[str, pa.Table] = {}
        self.jobs: dict[str, dict] = {}
        self.uploads: dict[str, bytes] = {}
        self.pieces = 0
        """How many pieces of files came."""
        self.most_pieces = 1000
        """After so many no further one is taken."""
        self.refusal: Answer | None = None
        """What every request is answered with, where it is set."""
        self.failure: dict | None = None
        """What a job ends with, where it is set."""
        self.lost = False
        """Whether what is said of a job is that there is none."""

    def table(self, project: str, dataset: str, table: str) -> Answer:
        if f"{project}.{dataset}" not in self.datasets:
            return refused(404, "notFound", f"Not found: Dataset {project}:{dataset}")
        held = self.tables.get(f"{project}.{dataset}.{table}")
        if held is None:
            return refused(404, "notFound", f"Not found: Table {project}:{dataset}.{table}")
        reference = {"projectId": project, "datasetId": dataset, "tableId": table}
        fields = [{"name": field.name, "type": TYPES[field.type]} for field in held.schema]
        return 200, {"tableReference": reference, "schema": {"fields": fields}}

    def begin(self, project: str, job: dict) -> Answer:
        name = job["jobReference"]["jobId"]
        self.jobs[name] = job
        return 200, {"upload": f"{UPLOAD}{project}/jobs?uploadType=resumable&upload_id={name}"}

    def upload(self, name: str, body: bytes, total: str) -> Answer:
        """Take a piece of a file; the last one, of which the total is known, begins the job."""
        job = self.jobs[name]
        self.pieces += 1
        if self.pieces > self.most_pieces:
            return refused(400, "invalid", "Upload was cancelled")
        held = self.uploads.get(name, b"") + body
        self.uploads[name] = held
        if str(len(held)) != total:
            return 308, {"range": f"bytes=0-{len(held) - 1}"}
        wanted = job["configuration"]["load"]["destinationTable"]
        if f"{wanted['projectId']}.{wanted['datasetId']}" not in self.datasets:
            return refused(404, "notFound", f"Not found: Dataset {wanted['projectId']}:{wanted['datasetId']}")
        return 200, job | {"status": {"state": "RUNNING"}}

    def job(self, name: str) -> Answer:
        """A job's end: the rows of its one file are a table's, or nothing changed."""
        if self.lost:
            return refused(404, "notFound", f"Not found: Job {name}")
        job = self.jobs[name]
        if self.failure:
            return 200, job | {"status": {"state": "DONE", "errorResult": self.failure, "errors": [self.failure]}}
        load = job["configuration"]["load"]
        assert (load["sourceFormat"], load["writeDisposition"]) == ("PARQUET", "WRITE_TRUNCATE")
        wanted = load["destinationTable"]
        address = f"{wanted['projectId']}.{wanted['datasetId']}.{wanted['tableId']}"
        self.tables[address] = pq.read_table(io.BytesIO(self.uploads[name]))
        return 200, job | {"status": {"state": "DONE"}}


def refused(status: int, reason: str, message: str) -> Answer:
    """How Google's interfaces say no."""
    return status, {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}


def answer(request: http.server.BaseHTTPRequestHandler, status: int, content: dict) -> None:
    """Send an answer; where an upload goes on, and how much of it is there, stand in its head."""
    request.send_response(status)
    if upload := content.get("upload"):
        request.send_header("Location", f"http://{request.headers['Host']}{upload}")
    if taken := content.get("range"):
        request.send_header("Range", taken)
    body = json.dumps(content).encode()
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@contextlib.contextmanager
def serving(warehouse: Warehouse) -> Iterator[str]:
    """The URL at which a warehouse answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if found := TABLE.match(self.path):
                answer(self, *(warehouse.refusal or warehouse.table(*found.groups())))
            elif found := JOB.match(self.path):
                answer(self, *warehouse.job(found[2]))

        def do_POST(self) -> None:
            project = self.path.removeprefix(UPLOAD).partition("/")[0]
            answer(self, *warehouse.begin(project, json.loads(self.body())))

        def do_PUT(self) -> None:
            total = self.headers["Content-Range"].rpartition("/")[2]
            answer(self, *warehouse.upload(self.path.rpartition("=")[2], self.body(), total))

        def body(self) -> bytes:
            return self.rfile.read(int(self.headers["Content-Length"]))

        def log_message(self, *_: object) -> None:
            return None

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
