"""A network that can be cut: clients connect to a port of its, and it passes everything on to the server's."""
import socket
import struct
import threading


class Cuttable:
    """Every connection made to `port` goes on to the server's; cut() resets them all, as a telephone that changes networks does."""

    def __init__(self, target):
        self.target = target
        self.lock = threading.Lock()
        self.pairs = []
        self.listener = socket.create_server(('127.0.0.1', 0))
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
            with self.lock:
                self.pairs.append((near, far))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
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
                    s.shutdown(socket.SHUT_RDWR)  # wakes who reads it
                except OSError:
                    pass
                s.close()

    def close(self):
        self.listener.close()
        self.cut()
