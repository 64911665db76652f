"""A Noise peer of one exchange, made with dissononce.

    dissononce_peer.py ask PORT CONTRACT SERVER_KEY   sends standard input, prints the response
    dissononce_peer.py serve CONTRACT SECRET          prints its port, answers one request with
                                                      the bytes on standard input

Keys, input and output are hex. Exits with 3 where the other side closes without an answer.
"""
import socket
import struct
import sys

from dissononce.cipher.chachapoly import ChaChaPolyCipher
from dissononce.dh.x25519.x25519 import PrivateKey, PublicKey, X25519DH
from dissononce.hash.sha256 import SHA256Hash
from dissononce.processing.handshakepatterns.interactive.NK import NKHandshakePattern
from dissononce.processing.impl.cipherstate import CipherState
from dissononce.processing.impl.handshakestate import HandshakeState
from dissononce.processing.impl.symmetricstate import SymmetricState

PIECE = 65535 - 16


class Closed(Exception):
    pass


def handshake_state():
    symmetric = SymmetricState(CipherState(ChaChaPolyCipher()), SHA256Hash())
    return HandshakeState(symmetric, X25519DH())


def prologue(contract):
    return b"POZ0" + struct.pack(">H", int(contract))


def receive(stream, n):
    data = stream.read(n)
    if len(data) < n:
        raise Closed()
    return data


def receive_frame(stream):
    return receive(stream, struct.unpack(">H", receive(stream, 2))[0])


def frame(message):
    return struct.pack(">H", len(message)) + bytes(message)


def send_all(sock, cipher, data, piece=PIECE):
    for i in range(0, len(data), piece):
        sock.sendall(frame(cipher.encrypt_with_ad(b"", data[i:i + piece])))


def receive_until(stream, cipher, size_of):
    data = b""
    while size_of(data) is None or len(data) < size_of(data):
        data += cipher.decrypt_with_ad(b"", receive_frame(stream))
    return data


def response_size(data):
    return 8 + struct.unpack(">I", data[4:8])[0] if len(data) >= 8 else None


def request_size(data):
    """Of a request without proof of work."""
    return 7 + struct.unpack(">H", data[5:7])[0] if len(data) >= 7 else None


def ask(port, contract, key):
    request = bytes.fromhex(sys.stdin.read())
    state = handshake_state()
    state.initialize(NKHandshakePattern(), True, prologue(contract), rs=PublicKey(bytes.fromhex(key)))
    with socket.create_connection(("127.0.0.1", int(port)), timeout=20) as sock:
        stream = sock.makefile("rb")
        message = bytearray()
        state.write_message(b"", message)
        sock.sendall(frame(message))
        send, take = state.read_message(receive_frame(stream), bytearray())
        send_all(sock, send, request, 1000)
        print(receive_until(stream, take, response_size).hex())


def serve(contract, secret):
    response = bytes.fromhex(sys.stdin.read())
    state = handshake_state()
    pair = X25519DH().generate_keypair(PrivateKey(bytes.fromhex(secret)))
    state.initialize(NKHandshakePattern(), False, prologue(contract), s=pair)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        print(server.getsockname()[1], flush=True)
        sock, _ = server.accept()
        with sock:
            sock.settimeout(20)
            stream = sock.makefile("rb")
            state.read_message(receive_frame(stream), bytearray())
            message = bytearray()
            take, send = state.write_message(b"", message)
            sock.sendall(frame(message))
            print(receive_until(stream, take, request_size).hex())
            send_all(sock, send, response)


try:
    {"ask": ask, "serve": serve}[sys.argv[1]](*sys.argv[2:])
except (Closed, ConnectionError):
    sys.exit(3)
