# CPU:  docker build -t instbox .
# CUDA: docker build -t instbox:cuda --build-arg BASE=nvidia/cuda:12.8.1-runtime-ubuntu24.04 \
#           --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128 .
ARG BASE=python:3.11-slim-bookworm
FROM ${BASE}

# the libraries of OpenCV, and Python where the base image has none
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && { command -v python3 || apt-get install -y --no-install-recommends python3-venv; } \
    && rm -rf /var/lib/apt/lists/*

ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 HOME=/tmp
WORKDIR /opt/mmseg_instbox
COPY requirements.txt ./
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
# torch goes first and alone: nothing installed later may pull in another build of it
RUN python3 -m venv /opt/venv \
    && pip install --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.txt)" \
    && pip install -r requirements.txt
COPY . .
ARG EXTRAS=demo,export
# hadolint ignore=DL3013
RUN pip install --no-build-isolation ".[$EXTRAS]"

# what a user mounts
WORKDIR /work
ENTRYPOINT ["instbox"]
CMD ["--help"]
