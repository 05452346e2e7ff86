"""Certificates for servers and clients on loopback, made by openssl and valid for two days, unless told otherwise."""

import subprocess
from pathlib import Path

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
_LEAVES = {
    "server": "subjectAltName=IP:127.0.0.1,DNS:builder.test\nextendedKeyUsage=serverAuth\n",
    "client": "extendedKeyUsage=clientAuth\n",
}


def make_certificates(folder: Path, days: int = 2, names: str | None = None) -> Path:
    """ca.pem; server.pem and client.pem of that authority, each with its .key beside it. The server's is valid for
    `days` (-1: it has expired), for `names` ("DNS:other.test") instead of the usual ones."""
    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    folder.mkdir(parents=True, exist_ok=True)
    openssl("req", "-x509", *_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=tests", "-days", "2",
            "-addext", "basicConstraints=critical,CA:TRUE")
    for name, extensions in _LEAVES.items():
        if names and name == "server":
            extensions = f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n"
        (folder / f"{name}.ext").write_text(extensions)
        openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", str(days if name == "server" else 2), "-out", f"{name}.pem", "-extfile", f"{name}.ext")
    return folder
