"""A network that can be cut: clients connect to a port of its, and it passes everything on to the server's."""
import socket
import struct
import threading


class Cuttable:
    """Every connection made to `port` goes on to the server's; cut() resets them all, as a telephone that changes networks does."""

    def __init__(self, target, port=0):
        self.target = target
        self.lock = threading.Lock()
        self.pairs = []
        self.listener = socket.create_server(('127.0.0.1', port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return  # closed
            try:
                far = socket.create_connection(('127.0.0.1', self.target))
            except OSError:
                near.close()  # the server is not there: nor is its port
                continue
            pair = (near, far)
            with self.lock:
                self.pairs.append(pair)
            for one, other in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(pair, one, other), daemon=True).start()

    def _pump(self, pair, one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
            with self.lock:
                if pair in self.pairs:  # the end was said, not cut
                    other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for s in pair:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                    s.shutdown(socket.SHUT_RD)  # wakes who reads it, and says nothing to the other end
                except OSError:
                    pass
                s.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts, and would keep the port
        self.listener.close()
        self.cut()
