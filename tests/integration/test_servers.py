"""Each server works by itself, so that a failure elsewhere is not theirs."""

import subprocess

from harness.servers import http


def test_skopeo_reads_the_base_image(registry, base):
    done = subprocess.run(["skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{base}"], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert "arm64" in done.stdout


def test_distribution_three_answers(registry3):
    assert registry3.get("/v2/")[0] == 200


def test_buildkit_offers_both_platforms(buildkit):
    done = subprocess.run([str(buildkit.buildctl), "--addr", buildkit.address, "debug", "workers"], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr
    assert "linux/amd64" in done.stdout and "linux/arm64" in done.stdout


def test_ntfy_keeps_a_message(ntfy):
    assert http("POST", f"{ntfy.url}/servers", b"hello")[0] == 200
    assert [m["message"] for m in ntfy.messages("servers")] == ["hello"]


def test_closed_ntfy_denies_strangers(closed_ntfy):
    assert http("POST", f"{closed_ntfy.url}/servers", b"hello")[0] == 403
