"""What Prometheus is shown: requests by route, flows and nodes by status."""

from __future__ import annotations

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.http.conftest import Api
from wfsim.http.metrics import RequestMetrics

WORKFLOW = "/api/v1/workflow/"


def metrics(api):
    """Each sample: name and labels, without those of the server, to its value."""
    answer = api.get(f"http://{api.base_url.netloc.decode()}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples]
    return {(each.name, *labels(each)): each.value for each in samples}


LABELS = {
    "em_http": ("handler", "method", "code", "le"),
    "em_work": ("biz_type", "flow_name", "flow_node", "flow_status", "flow_node_status"),
}


def labels(sample):
    """The values of the sample's labels, in the order above."""
    names = LABELS[sample.name[:7]]
    return [sample.labels[name] for name in names if name in sample.labels]


def test_requests_and_errors_are_counted_by_route_method_and_status(api):
    api.create()
    api.create()
    for flow in ("1-StopCluster", "2-StopCluster", "9-StopCluster"):
        api.asked("GET", f"/{flow}")
    api.head("/")
    api.request("BREW", "/")
    api.get(f"http://{api.base_url.netloc.decode()}/nowhere")
    seen = metrics(api)
    named = {key: value for key, value in seen.items() if key[0].endswith("_total")}
    one = f"{WORKFLOW}{{workFlowId}}"
    assert named == {
        ("em_http_requests_total", WORKFLOW, "POST", "200"): 2,
        ("em_http_requests_total", WORKFLOW, "HEAD", "200"): 1,
        ("em_http_requests_total", WORKFLOW, "other", "405"): 1,
        ("em_http_requests_total", one, "GET", "200"): 2,
        ("em_http_requests_total", one, "GET", "404"): 1,
        ("em_http_requests_total", "none", "GET", "404"): 1,
        ("em_http_errors_total", WORKFLOW, "other", "405"): 1,
        ("em_http_errors_total", one, "GET", "404"): 1,
        ("em_http_errors_total", "none", "GET", "404"): 1,
    }
    assert metrics(api)["em_http_requests_total", "/metrics", "GET", "200"] == 1


def test_the_seconds_of_requests_are_a_histogram(api):
    api.create()
    seen = metrics(api)
    name = "em_http_request_duration_seconds"
    assert seen[f"{name}_count", WORKFLOW, "POST", "200"] == 1
    assert seen[f"{name}_bucket", WORKFLOW, "POST", "200", "+Inf"] == 1
    assert 0 < seen[f"{name}_sum", WORKFLOW, "POST", "200"] < 20


def test_a_duration_falls_into_the_first_bucket_that_holds_it():
    counted = RequestMetrics()
    for seconds in (0.005, 0.0051, 9.0, 11.0):
        counted.count("/a", "GET", 200, seconds)
    (_, _, family) = counted.families()
    buckets = [(s.labels["le"], s.value) for s in family.samples if "le" in s.labels]
    assert buckets == [
        ("0.005", 1), ("0.01", 2), ("0.025", 2), ("0.05", 2), ("0.1", 2), ("0.25", 2),
        ("0.5", 2), ("1.0", 2), ("2.5", 2), ("5.0", 2), ("10.0", 3), ("+Inf", 4),
    ]  # fmt: skip


def test_flows_and_nodes_are_counted_by_status_those_of_all_tenants(lived):
    lived.create(headers={"Em-X-Tenant-Id": "other"})
    seen = metrics(lived)
    work = {key: value for key, value in seen.items() if key[0].startswith("em_work")}
    assert work == {
        ("em_work_flows", "cluster", "StopCluster", "Finished"): 1,
        ("em_work_flows", "cluster", "StopCluster", "Initializing"): 1,
        ("em_work_flows", "host", "Check", "Canceled"): 1,
        ("em_work_flow_nodes", "cluster", "StopCluster", "stop", "Finished"): 1,
        ("em_work_flow_nodes", "cluster", "StopCluster", "end", "Finished"): 1,
    }


def test_nothing_in_it_tells_the_time_of_day(api):
    text = api.get(f"http://{api.base_url.netloc.decode()}/metrics").text
    assert "created" not in text
    assert not re.search(r"\d{9}", text)


def test_metrics_need_the_token(serve):
    server = serve(token="s3cret")
    with Api(server) as api:
        assert api.get(f"{server.url}/metrics").status_code == 401
    with Api(server, headers={"Authorization": "Bearer s3cret"}) as api:
        assert metrics(api)


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/metrics", WORKFLOW])
def test_head_is_answered_as_get_without_the_body(idle, path):
    url = f"http://{idle.base_url.netloc.decode()}{path}"
    whole, head = idle.get(url), idle.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]


def test_the_root_shows_what_may_be_asked(idle):
    answer = idle.get(f"http://{idle.base_url.netloc.decode()}/")
    assert answer.status_code == 200
    assert "swagger" in answer.text
