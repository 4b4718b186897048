CREATE TABLE `autoinc2` (
  `a` int NOT NULL,
  `n` bigint unsigned NOT NULL AUTO_INCREMENT,
  `v` int DEFAULT NULL,
  PRIMARY KEY (`a`),
  KEY `kn` (`n`,`v`),
  KEY `kv` (`v`),
  KEY `kn2` (`n`)
) ENGINE=InnoDB AUTO_INCREMENT=1000 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `child` (
  `id` int NOT NULL,
  `pa` int DEFAULT NULL,
  `pb` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `pa` (`pa`,`pb`),
  CONSTRAINT `child_ibfk_1` FOREIGN KEY (`pa`, `pb`) REFERENCES `parent` (`a`, `b`) ON DELETE CASCADE,
  CONSTRAINT `oth``er` FOREIGN KEY (`pa`) REFERENCES `parent` (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `chk` (
  `id` int NOT NULL,
  `a` int DEFAULT NULL,
  `b` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  CONSTRAINT `c1` CHECK ((`a` < `b`)),
  CONSTRAINT `c2` CHECK ((`b` <> 7)) /*!80016 NOT ENFORCED */,
  CONSTRAINT `chk_chk_1` CHECK ((`a` > 0))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `defx` (
  `id` binary(16) NOT NULL DEFAULT (uuid_to_bin(uuid())),
  `a` int DEFAULT ((1 + 2)),
  `j` json DEFAULT (json_array(_utf8mb4'a`id`')),
  `t` text COLLATE utf8mb4_unicode_ci DEFAULT (_utf8mb4'x'),
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `encr` (
  `id` int NOT NULL,
  `a` varchar(10) COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci COMPRESSION='zlib';

CREATE TABLE `ft` (
  `id` int NOT NULL,
  `a` text COLLATE utf8mb4_unicode_ci,
  `b` text COLLATE utf8mb4_unicode_ci,
  PRIMARY KEY (`id`),
  FULLTEXT KEY `fa` (`a`),
  FULLTEXT KEY `fab` (`a`,`b`),
  FULLTEXT KEY `fb` (`b`) COMMENT 'x'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `func` (
  `id` int NOT NULL,
  `a` int DEFAULT NULL,
  `b` varchar(20) COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  `d` json DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `fd` ((cast(json_unquote(json_extract(`d`,_utf8mb4'$.id')) as char(20) charset utf8mb4))),
  KEY `fa` (((`a` + `id`)),`b`),
  KEY `fl` ((lower(`b`)) DESC)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `gen` (
  `id` int NOT NULL,
  `a` int DEFAULT NULL,
  `b` int GENERATED ALWAYS AS (((`a` * 2) + `id`)) VIRTUAL,
  `c` varchar(20) COLLATE utf8mb4_unicode_ci GENERATED ALWAYS AS (concat(`a`,_utf8mb4'a`id`',_utf8mb4'id')) STORED COMMENT 'gen `a`',
  `d` json DEFAULT NULL,
  `e` int GENERATED ALWAYS AS (json_unquote(json_extract(`d`,_utf8mb4'$.id'))) VIRTUAL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `kc` (`c`),
  KEY `kb` (`b`),
  KEY `ke` (`e`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `geo` (
  `id` int NOT NULL,
  `g` geometry NOT NULL,
  `p` point NOT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `sg` (`g`),
  SPATIAL KEY `sp` (`p`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `gipk` (
  `my_row_id` bigint unsigned NOT NULL AUTO_INCREMENT /*!80023 INVISIBLE */,
  `a` int DEFAULT NULL,
  `b` int DEFAULT NULL,
  PRIMARY KEY (`my_row_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `idx8` (
  `id` int NOT NULL,
  `a` int DEFAULT NULL,
  `b` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `iu` (`b`) /*!80000 INVISIBLE */,
  KEY `inv` (`a`) /*!80000 INVISIBLE */,
  KEY `dsc` (`a` DESC,`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_as_cs;

CREATE TABLE `invis` (
  `id` int NOT NULL,
  `a` int DEFAULT NULL /*!80023 INVISIBLE */,
  `b` int GENERATED ALWAYS AS ((`a` + 1)) VIRTUAL /*!80023 INVISIBLE */,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `lat` (
  `id` int NOT NULL,
  `a` varchar(10) DEFAULT NULL,
  `b` varchar(10) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT NULL,
  `c` varchar(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci DEFAULT NULL,
  `d` enum('é','ß') DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE `mvi` (
  `id` int NOT NULL,
  `d` json DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `m` ((cast(json_extract(`d`,_utf8mb4'$.a') as unsigned array)))
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `my` (
  `a` int NOT NULL,
  `n` int NOT NULL AUTO_INCREMENT,
  `v` varchar(10) COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  PRIMARY KEY (`a`,`n`),
  KEY `kv` (`v`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `na``me with. dots` (
  `id` int NOT NULL,
  `select` int DEFAULT NULL,
  `col``umn` varchar(10) DEFAULT NULL,
  `sp ace` int DEFAULT NULL,
  `dötted.name` int DEFAULT NULL,
  `year` date DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `ke``y` (`select`,`col``umn`),
  KEY `order` (`sp ace`,`dötted.name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;

CREATE TABLE `nokey` (
  `a` int DEFAULT NULL,
  `n` int NOT NULL,
  UNIQUE KEY `un` (`n`),
  UNIQUE KEY `ua` (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `p_hash` (
  `id` int NOT NULL,
  `v` int DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY LINEAR HASH ((`id` + 1))
PARTITIONS 3 */;

CREATE TABLE `p_key` (
  `id` int NOT NULL,
  `v` int DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY KEY (id)
PARTITIONS 3 */;

CREATE TABLE `p_keyempty` (
  `id` int NOT NULL,
  `v` int DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY KEY ()
PARTITIONS 2 */;

CREATE TABLE `p_list` (
  `id` int NOT NULL,
  `v` int DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY LIST ((`id` % 3))
(PARTITION p0 VALUES IN (NULL,0) ENGINE = InnoDB,
 PARTITION p1 VALUES IN (1,2) ENGINE = InnoDB) */;

CREATE TABLE `p_listc` (
  `id` varchar(5) COLLATE utf8mb4_unicode_ci NOT NULL,
  `v` int DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50500 PARTITION BY LIST  COLUMNS(id)
(PARTITION p0 VALUES IN ('id','v') ENGINE = InnoDB,
 PARTITION p1 VALUES IN ('c') ENGINE = InnoDB) */;

CREATE TABLE `p_range` (
  `id` int NOT NULL,
  `year` date NOT NULL,
  `v` int DEFAULT NULL,
  PRIMARY KEY (`id`,`year`),
  KEY `kv` (`v`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY RANGE (year(`year`))
SUBPARTITION BY HASH (`id`)
SUBPARTITIONS 2
(PARTITION p0 VALUES LESS THAN (2000) COMMENT = 'c,)' ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */;

CREATE TABLE `p_rangec` (
  `id` int NOT NULL,
  `b` varchar(10) COLLATE utf8mb4_unicode_ci NOT NULL,
  `v` int DEFAULT NULL,
  KEY `kv` (`v`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50500 PARTITION BY RANGE  COLUMNS(id,b)
(PARTITION p0 VALUES LESS THAN (1,'b') ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN (MAXVALUE,MAXVALUE) ENGINE = InnoDB) */;

CREATE TABLE `parent` (
  `a` int NOT NULL,
  `b` int NOT NULL,
  `c` int DEFAULT NULL,
  PRIMARY KEY (`a`,`b`),
  KEY `kc` (`c`),
  CONSTRAINT `parent_ibfk_1` FOREIGN KEY (`c`) REFERENCES `child` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `plain` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `a` varchar(50) COLLATE utf8mb4_unicode_ci DEFAULT 'it''s \\ "q" `b`',
  `b` text COLLATE utf8mb4_unicode_ci,
  `c` decimal(65,30) NOT NULL DEFAULT '-1.500000000000000000000000000000',
  `d` datetime(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `e` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `f` timestamp NULL DEFAULT NULL,
  `g` enum('a','b,c','it''s','x)y','','ü') COLLATE utf8mb4_unicode_ci NOT NULL DEFAULT 'it''s',
  `h` set('p','q(','r''') COLLATE utf8mb4_unicode_ci DEFAULT 'p,q(',
  `i` bit(13) DEFAULT b'101',
  `j` year DEFAULT '2001',
  `k` time(3) DEFAULT NULL,
  `l` binary(7) DEFAULT 'ab\0\0\0\0\0',
  `m` varbinary(9) DEFAULT NULL,
  `n` double unsigned DEFAULT NULL,
  `o` float(7,3) DEFAULT NULL,
  `p` char(3) CHARACTER SET latin1 COLLATE latin1_swedish_ci DEFAULT NULL,
  `q` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci DEFAULT NULL,
  `r` smallint(4) unsigned zerofill DEFAULT NULL,
  `s` mediumint DEFAULT NULL,
  `t` tinyint unsigned DEFAULT NULL,
  `u` bigint DEFAULT NULL,
  `v` date DEFAULT '2020-01-02',
  `w` longblob,
  `x` tinytext COLLATE utf8mb4_unicode_ci,
  `y` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  `z` binary(10) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u1` (`t`,`s`) COMMENT 'c ''x'' \\ é',
  KEY `k1` (`a`(10),`s`),
  KEY `k2` (`b`(20)) USING BTREE
) ENGINE=InnoDB AUTO_INCREMENT=77 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci STATS_PERSISTENT=1 ROW_FORMAT=DYNAMIC COMMENT='t ''x'' \\ "é" /* no */ `b`';

CREATE TABLE `self` (
  `id` int NOT NULL,
  `parent` int DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `kp` (`parent`),
  CONSTRAINT `self_fk` FOREIGN KEY (`parent`) REFERENCES `self` (`id`) ON DELETE SET NULL ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `srid` (
  `id` int NOT NULL,
  `g` geometry NOT NULL /*!80003 SRID 4326 */,
  `p` geomcollection DEFAULT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `sg` (`g`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `tsd` (
  `id` int NOT NULL,
  `d` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  `ts` timestamp NOT NULL DEFAULT '0000-00-00 00:00:00',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `vec` (
  `id` int NOT NULL,
  `v` vector(3) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
