"""Java beside Python: our few classes compiled against Kafka's jars, and a machine that runs many of Kafka's tools."""

import glob
import json
import os
import selectors
import subprocess

from kafka_broker import HERE, libraries

MACHINE = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "--add-opens=java.base/java.lang=ALL-UNNAMED"]

# Errors that are logged are part of a transcript. The number of warnings depends on timing.
LOGGING = """\
<Configuration status="ERROR">
  <Appenders>
    <File name="file" fileName="{log}"><PatternLayout pattern="[%d] %p %m (%c)%n"/></File>
    <Console name="err" target="SYSTEM_ERR"><PatternLayout pattern="%p %m%n" alwaysWriteExceptions="false"/></Console>
  </Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="file"/><AppenderRef ref="err" level="ERROR"/></Root></Loggers>
</Configuration>
"""


def classes():
    """Where our classes are, compiled anew when a source is younger."""
    sources = sorted(glob.glob(os.path.join(HERE, "java", "*.java")))
    home = os.path.join(os.path.dirname(libraries()), "classes")
    stamp = os.path.join(home, "stamp")
    if not os.path.exists(stamp) or any(os.path.getmtime(source) > os.path.getmtime(stamp) for source in sources):
        os.makedirs(home, exist_ok=True)
        subprocess.run(["javac", "-nowarn", "-XDignore.symbol.file", "-d", home, "-cp", f"{libraries()}/*", *sources], check=True)
        open(stamp, "w").close()
    return home


def command(directory, *words):
    """A command that runs a class of ours or of Kafka's, and logs into the directory."""
    logging = os.path.join(directory, "logging.xml")
    with open(logging, "w", encoding="utf-8") as file:
        file.write(LOGGING.format(log=os.path.join(directory, "java.log")))
    options = [f"-Dlog4j2.configurationFile=file:{logging}", "-cp", f"{classes()}:{libraries()}/*"]
    return [*MACHINE, *options, *words]


class Tools:
    """One Java machine in which tools run one after the other."""

    def __init__(self, directory):
        self.process = subprocess.Popen(command(directory, "Tools"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, name, arguments, text="", seconds=60):
        """The exit status of a tool and what it printed, as {status, out, err, seconds}."""
        request = {"class": name, "arguments": list(arguments), "input": text, "seconds": seconds}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds + 30):
                raise TimeoutError(f"no answer from {name}")
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
