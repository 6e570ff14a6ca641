-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA512

{"critical":{"identity":{"docker-reference":"registry.example/acme/app:v1"},"image":{"docker-manifest-digest":"sha256:5c42820fc97f92e09c9fa48c97d084445d812f89f38bdbf19b8fc7b0f1055a54"},"type":"atomic container signature"},"optional":{"creator":"made by hand","timestamp":1748736000}}
-----BEGIN PGP SIGNATURE-----

iQEzBAEBCgAdFiEEdu2E6pF71BTp3XghM4Sa2482LQsFAmg7mAAACgkQM4Sa2482
LQvsmwgAnjRrBmQ5v6Um8fdJHsS3+4s4HpDWHWQ56tRlG7pCl4wZcYYtYT8qN1NB
8igvUTRHDQoVOqqh09efts2Xk9KupXwkEAigrvGDY7L9qacPw96VswYVGVNQWC/k
nON63JkDwgh5UY4s4MZgNetVcqtU19BzjLnuRYmWBIz3nzuk9jyHKPSTNgmmvRnj
8wkTA6mf1B+9ff4GTEUpFu37QVG81J0HXJiaf2S0WKTvOEuH9t4xb6ZNMqlekrHt
KzVQGeXPdeuVGZC2Z8oxEovlMx9tk+5UDxb6LiQaGTkzaFf2iSJATykGyUOvJzgT
/RN4Y+RSh5Maglrf34reZn1MZt0g7Q==
=OOOo
-----END PGP SIGNATURE-----
