"""Client load: twenty requests a second, each over a connection of its own and every fourth a write.

usage: load.py SERVER DIRECTORY, with the administrator's credentials in the directory; until it holds a file `enough`, a line is
added to its file `requests` for each: when it began, when it ended, and the answer, 000 for none. One process, so that asking takes
little from what is measured.
"""

import http.client
import pathlib
import ssl
import sys
import threading
import time
import urllib.parse

server, directory = urllib.parse.urlsplit(sys.argv[1]), pathlib.Path(sys.argv[2])
context = ssl.create_default_context(cafile=str(directory / "certificate-authority"))
context.load_cert_chain(directory / "client-certificate", directory / "client-key")
PATH = "/api/v1/namespaces/default/configmaps"
log, lock = open(directory / "requests", "a", buffering=1), threading.Lock()


def ask(number):
    began, code = time.time(), "000"
    connection = http.client.HTTPSConnection(server.hostname, server.port, timeout=10, context=context)
    try:
        if number % 4 == 0:
            body, headers = '{"metadata":{"generateName":"load-"}}', {"Content-Type": "application/json"}
            connection.request("POST", PATH, body, headers)
        else:
            connection.request("GET", PATH + "?limit=1")
        code = str(connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        pass
    finally:
        connection.close()
    with lock:
        log.write(f"{began:.6f} {time.time():.6f} {code}\n")


threads, number = [], 0
while not (directory / "enough").exists():
    number += 1
    threads.append(threading.Thread(target=ask, args=(number,)))
    threads[-1].start()
    time.sleep(0.05)
for thread in threads:
    thread.join()
