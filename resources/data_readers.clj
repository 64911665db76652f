{poz/hex poz.bytes/hex->}
