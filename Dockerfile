# One stage for each program; the context is the folder with the static binaries:
#   docker build --target lanyard-agent --file Dockerfile target/x86_64-unknown-linux-gnu/release
FROM scratch AS lanyard-operator
COPY lanyard-operator /
USER 65532:65532
ENTRYPOINT ["/lanyard-operator"]

FROM scratch AS lanyard-agent
COPY lanyard-agent /
USER 65532:65532
ENTRYPOINT ["/lanyard-agent"]

FROM scratch AS lanyard-emulator
COPY lanyard-emulator /
USER 65532:65532
ENTRYPOINT ["/lanyard-emulator"]
