# An IOC in a container:
#
#   docker build -f recipes/docker/ioc.Dockerfile -t ioc --build-arg SOURCE=dist/<the wheel> .
#   docker run --network host --stop-timeout 20 ioc --prefix SR:VAC: --list-pvs
#
# The base image is Debian's Python; nothing is compiled here.
FROM python:3.13-slim

ARG SOURCE=cachannel-cffi
COPY . /tmp/source
RUN cd /tmp/source && pip install --no-cache-dir "$SOURCE" && rm -rf /tmp/source \
    && useradd --create-home --uid 1000 ioc

USER ioc
WORKDIR /home/ioc
# Log lines appear when they are written.
ENV PYTHONUNBUFFERED=1

# The exec form: signals reach the IOC itself, so its shutdown hooks run when the container stops.
# Put a module of your own in the place of the example.
ENTRYPOINT ["python", "-m", "cachannel.ioc_examples.simple"]
STOPSIGNAL SIGTERM
EXPOSE 5064/tcp 5064/udp
