# The command and all client APIs in a container:
#
#   docker build -f recipes/docker/client.Dockerfile -t ca --build-arg SOURCE=dist/<the wheel> .
#   docker run --rm --network host ca monitor simple:gain
#   docker run --rm -e EPICS_CA_ADDR_LIST=10.0.3.17 -e EPICS_CA_AUTO_ADDR_LIST=NO ca get SR:VAC:P1
FROM python:3.13-slim

ARG SOURCE=cachannel-cffi
COPY . /tmp/source
RUN cd /tmp/source && pip install --no-cache-dir "$SOURCE[cli]" && rm -rf /tmp/source \
    && useradd --create-home --uid 1000 client

USER client
WORKDIR /home/client
ENV PYTHONUNBUFFERED=1 CACHANNEL_REPEATER=NO

ENTRYPOINT ["cachannel"]
CMD ["--help"]
